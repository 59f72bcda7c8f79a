"""What data sets are called, by the names of their types."""
# of anybody's folder
_FOLDERS = dict(UnlabelledFolder='a folder of images', MaskedImage='a folder of images',
                LabelledFolder='a folder of images with labels', Labelled='a folder of images with labels')


def title_of(kind: str) -> str:
    """``'CamVid'`` of ``'mmseg_unsup.CamVidDataset'``, and of types of no data set in particular what they hold."""
    name = _short(kind)
    return _FOLDERS.get(name, name)


def labels_of(kind: str) -> str:
    """``'CamVid labels'``, or of types of no data set in particular ``'own labels'``."""
    name = _short(kind)
    return 'own labels' if name in _FOLDERS else f'{name} labels'


def _short(kind: str) -> str:
    return kind.rpartition('.')[2].removesuffix('Dataset')
