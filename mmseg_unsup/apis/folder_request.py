"""What every call that fills a folder from a folder of images is given."""
import json
import os
import os.path as osp
from argparse import Namespace
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Dict, Optional, Tuple

from ..datasets.errors import ON_ERROR
from ..datasets.image_files import check_folder, check_output
from ..functional.crf import METHODS
from ..utils.checks import check_choice
from ..utils.paths import path_remedy, printable


@dataclass(kw_only=True)
class FolderRequest:
    """Arguments that need no model to be checked; paths become absolute, but for that of the results.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: there is no such folder of images; results cannot go to
            ``out``; what is no choice.
    """
    pictures: ClassVar[Tuple[str, ...]] = ()  # folders of them below that of results
    free: ClassVar[Tuple[str, ...]] = ()  # what does not change the result, or is recorded by its content

    images: str
    out: str
    on_error: str = 'raise'
    options: Dict[str, Any] = field(default_factory=dict)
    amp: bool = False
    compile: bool = False
    refine: Optional[str] = None

    def __post_init__(self) -> None:
        check_choice('on_error', self.on_error, ON_ERROR)
        check_choice('refinement', self.refine or 'none', ('none', *METHODS))
        self.images = osp.abspath(os.fspath(self.images))
        check_folder(self.images, path_remedy(self.images))
        self.out = osp.normpath(os.fspath(self.out))
        if osp.exists(self.out) and not osp.isdir(self.out):
            raise ValueError(f'--out {printable(self.out)} is a file: give a folder')
        if printable(self.out) != self.out:  # torch writes no such file
            raise ValueError(f'the name --out {printable(self.out)} is no UTF-8: give another')
        for folder in self.pictures:
            check_output(self.path(folder), self.images)

    @classmethod
    def of_arguments(cls, args: Namespace) -> 'FolderRequest':
        """That of the arguments of a command, which are called alike; options are ``cfg_options``."""
        names = {each.name for each in fields(cls)}
        given = {name: value for name, value in vars(args).items() if name in names}
        return cls(options=args.cfg_options or {}, **given)

    def path(self, *parts: str) -> str:
        """The path of something that is written."""
        return osp.join(self.out, *parts)

    def recorded(self) -> Dict[str, Any]:
        """What must be the same in every call for one folder, as plain values."""
        settings = {key: value for key, value in vars(self).items() if key not in self.free}
        settings.update(self.resolved())
        return json.loads(json.dumps(settings, default=str))

    def resolved(self) -> Dict[str, Any]:
        """Of what is recorded, that which is written in several ways."""
        return dict(images=osp.realpath(self.images))
