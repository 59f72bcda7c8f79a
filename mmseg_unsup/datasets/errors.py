"""Errors of single files, which a data policy may skip; everything else always stops the run."""


class UnreadableImageError(ValueError):
    """An image file that cannot be used.

    Takes one message, as the data loader re-raises the errors of its workers with a message only.
    """

    @classmethod
    def of(cls, path: str, reason: str) -> 'UnreadableImageError':
        return cls(f"cannot use the image {path}: {reason}. Replace or remove the file, or set on_error='skip' on the "
                   'training data set')


class LabelError(ValueError):
    """A label map that does not fit its data set or image."""
