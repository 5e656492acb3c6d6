"""The report of run folders: one HTML file, Markdown or LaTeX tables."""
