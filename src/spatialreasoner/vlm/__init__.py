"""Vision-language models of any family: processors, loading, region tokens."""
