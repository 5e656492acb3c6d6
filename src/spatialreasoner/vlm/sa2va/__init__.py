"""Sa2VA, the architecture of SpatialReasoner-R1, in transformers' own InternVL classes: no Python of a folder is ever run.

A Sa2VA (`sa2va_chat`, github.com/magic-research/Sa2VA) is InternVL 2.5 with regions: after an image's tiles the prompt says
`There are 2 part regions in the picture: region1<vp>...</vp>, region2<vp>...</vp>.`, where the dots are image tokens again,
one for each cell of the thumbnail that the region covers. `folder` reads what such a folder says of itself, `weights` renames
its tensors, `tokens` and `pieces` read its tokenizer, `modeling` and `processing` are the classes, and `convert` puts them
together. The SAM 2 head that draws masks for `[SEG]` is left out: it takes no part in text.
"""

SA2VA = "sa2va_chat"
"""The family of a folder as it was released, as its `config.json` calls it."""
