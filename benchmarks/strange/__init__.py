"""What strangers did to the program: replies, wires, images, visitors, checkpoints and disks that nobody here had seen."""
