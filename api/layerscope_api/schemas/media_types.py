"""Media types of request bodies."""

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")


NPY_TYPE = "application/x-npy"


ANY_TYPE = "application/octet-stream"


FORM_TYPE = "multipart/form-data"


JSON_TYPE = "application/json"
