"""What DPO and fDPO do on a task with two named segments whose gaps are known: a plan and an answer, on a pretrained model."""
