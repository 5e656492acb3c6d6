"""The tiny model that tests of training start from."""

TINY = "testing:llava,width=32,image_size=28"
