"""A network that is only read: never trained, copied or saved."""
import copy
from contextlib import contextmanager, nullcontext
from typing import Callable, ContextManager, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.dist import broadcast
from mmengine.logging import print_log
from mmengine.model import BaseModule, revert_sync_batchnorm
from torch import Tensor, nn
from torch.compiler import is_compiling

from ...datasets.feature_store import StoredImages
from ...registry import MODELS
from ...utils.near_names import advice
from ...utils.stack import check_backbone
from ...weights import (check_stock_initialization, identity_text, initial_source, quiet_init_weights, stated_source,
                        weights_identity)
from ...weights.identity import COUNTER


@MODELS.register_module()
class FrozenBackbone(BaseModule):
    """Any registered backbone in eval mode and without gradients, whatever is done to the model around it.

    The network is no child module, so that optimisers, DDP, SyncBN conversion and state dicts do not see it; devices
    and memory formats reach it. In its place checkpoints have ``identity``, the first 64 bits of a hash of its weights.
    A checkpoint is loaded only onto the weights that it was trained on: where they have not been loaded yet, as in an
    evaluation, they are read from the file that ``backbone.init_cfg`` names. ``copy.deepcopy`` gives the same object:
    teachers share it.

    A backbone may offer outputs of its own by an attribute ``output_names`` (a sequence of texts) and a method
    ``named_outputs(images, names) -> Dict[str, Tensor]``, such as tokens, keys and attention of a transformer. Of all
    others the outputs are those of their modules, by name (``'layer3'``, ``'layer3.0.conv1'``), and the maps that they
    return, by position.

    Args:
        backbone: config of the network; its ``init_cfg`` says where the weights come from.
        out: names or positions of the outputs that a call returns, in this order; None for the maps of the network.
        keep_in_checkpoint: save the weights too, for a checkpoint that needs no other file. Weights that are not from
            the file of ``init_cfg``, as random ones, are always saved.
        float16: outputs are rounded to float16, as a feature cache keeps them (see
            :class:`mmseg_unsup.FeatureCacheHook`), and given as float32: those that are computed equal those that are
            read. They are computed in one precision, in training steps too, whatever autocast says there: that of
            passes without gradient in a run (:class:`mmseg_unsup.PrecisionHook`), float32 outside of one; and on a CPU
            image by image, so that they do not depend on the batch.

    Attributes:
        network (nn.Module): what is frozen.
        network_config (dict): ``backbone`` without ``init_cfg``.
        is_frozen (bool): True: nothing of this module trains.

    Raises:
        ImportError: a package that the backbone is of is missing.
        ValueError: the network has no such output.
    """

    is_frozen = True
    # makes the context of the network if ``float16``, see PrecisionHook; None: float32
    no_grad_context: Optional[Callable[[], ContextManager]] = None

    def __init__(self,
                 backbone: dict,
                 out: Optional[Sequence[Union[str, int]]] = None,
                 keep_in_checkpoint: bool = False,
                 float16: bool = False) -> None:
        super().__init__()
        check_backbone(backbone['type'])
        self.network_config = {key: copy.deepcopy(value) for key, value in backbone.items() if key != 'init_cfg'}
        network = revert_sync_batchnorm(MODELS.build(backbone))  # in eval mode it needs no other process
        self.__dict__['network'] = network.requires_grad_(False)
        self.train(False)
        self.out = None if out is None else [out] if isinstance(out, (str, int)) else list(out)
        self._check_names(self.out or ())
        self.keep_in_checkpoint, self._is_loaded = keep_in_checkpoint, False
        self.float16 = float16
        self.register_buffer('identity', torch.zeros(16, dtype=torch.long))
        self._register_state_dict_hook(_add_kept)

    @torch.no_grad()
    def forward(self, images: Union[Tensor, StoredImages]) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> the maps of the network, or the outputs that ``out`` names."""
        found = self.outputs(images, self.out)
        return tuple(found.values() if self.out is None else (found[name] for name in self.out))

    @torch.no_grad()
    def named_outputs(self, images: Union[Tensor, StoredImages],
                      names: Sequence[Union[str, int]]) -> Dict[Union[str, int], Tensor]:
        """Outputs by name, in one pass of the network.

        Raises:
            ValueError: the network has no such output, or the features were stored without it.
        """
        self._check_names(names)
        return self.outputs(images, names)

    @torch.no_grad()
    def outputs(self, images: Union[Tensor, StoredImages], names: Optional[Sequence[Union[str, int]]]) -> Dict:
        """Outputs by name; for None the maps of the network, by their positions."""
        if isinstance(images, StoredImages):
            return images.maps(names)
        if not self.float16:
            return self.compute(images, names)
        images, kind = images.float().contiguous(memory_format=torch.channels_last), images.device.type
        # kernels of a CPU may sum in another order for another number of images; exporters see all at once
        alone = images.split(1) if kind == 'cpu' and not (torch.jit.is_tracing() or is_compiling()) else [images]
        with self.one_precision(kind), self._casting_once() if len(alone) > 1 else nullcontext():
            found = [self.compute(each, names) for each in alone]
        return {name: _rounded(torch.cat([each[name] for each in found])) for name in found[0]}

    def one_precision(self, kind: str) -> ContextManager:
        """What ``float16`` outputs are computed in on a ``'cpu'`` or ``'cuda'`` device."""
        if self.no_grad_context is not None:
            return self.no_grad_context()
        return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()

    @contextmanager
    def _casting_once(self) -> Iterator[None]:
        """Autocast keeps what it has cast until its end, but only of weights that want a gradient, which nobody asks
        for here."""
        self.network.requires_grad_(torch.is_autocast_enabled(self.identity.device.type))
        try:
            yield
        finally:
            self.network.requires_grad_(False)

    @property
    def precision(self) -> str:
        """What ``float16`` outputs are computed in: ``'float32'``, ``'bfloat16'`` or ``'float16'``."""
        kind = self.identity.device.type
        with self.one_precision(kind):
            found = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        return str(found).rpartition('.')[2]

    def compute(self, images: Tensor, names: Optional[Sequence[Union[str, int]]]) -> Dict:
        """:meth:`outputs` as the network gives them."""
        if names is None:
            return dict(enumerate(self.network(images)))
        if hasattr(self.network, 'named_outputs'):
            return self.network.named_outputs(images, names)
        return _outputs_of_modules(self.network, images, names)

    def init_weights(self) -> None:
        """Load the weights, once, and say in one line what is frozen."""
        if self._is_loaded:
            return
        if hasattr(self.network, 'init_weights'):
            with quiet_init_weights(self.network):
                self.network.init_weights()
            check_stock_initialization(self.network, strict=True)
        source = initial_source(self.network)
        if source is None:  # random, in every process
            self.keep_in_checkpoint = True
            for tensor in self.network.state_dict().values():
                broadcast(tensor)
        self._identify()
        licence = f'; {self.network.licence}' if source and hasattr(self.network, 'licence') else ''
        n_params = sum(parameter.numel() for parameter in self.network.parameters())
        print_log(f'init: frozen {type(self.network).__name__}, {n_params / 1e6:.1f} M parameters, weights '
                  f'{self.fingerprint} ({source or "random"}), {"" if self.keep_in_checkpoint else "not "}in the '
                  f'checkpoints{licence}', logger='current')

    @property
    def fingerprint(self) -> str:
        """The identity of the weights in 16 hexadecimal digits; zeros before they are loaded."""
        return identity_text(self.identity)

    @property
    def is_init(self) -> bool:
        return self._is_loaded

    @is_init.setter
    def is_init(self, value: bool) -> None:
        """Changes nothing: whoever marks a copy as initialised marks this object."""

    def train(self, mode: bool = True) -> 'FrozenBackbone':
        """Stay in eval mode."""
        self.network.eval()
        return super().train(False)

    def _apply(self, fn, recurse: bool = True) -> 'FrozenBackbone':
        self.network._apply(fn)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo: dict) -> 'FrozenBackbone':
        return self

    def _identify(self) -> None:
        self.identity.copy_(weights_identity(self.network.state_dict()))
        self._is_loaded = True

    def _check_names(self, names: Sequence[Union[str, int]]) -> None:
        """
        Raises:
            ValueError: the network has no output of such a name; positions are known in the pass only.
        """
        offered = getattr(self.network, 'output_names', None)
        known = dict(self.network.named_modules()) if offered is None else offered
        for name in names:
            if name not in known and not (offered is None and isinstance(name, int)):
                listed = [child for child, _ in self.network.named_children()] if offered is None else offered
                raise ValueError(f'out={name!r} is no output of the frozen {type(self.network).__name__}'
                                 f'{advice(str(name), listed)}')

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool,
                              missing_keys: List[str], unexpected_keys: List[str], error_msgs: List[str]) -> None:
        own = [*self.network.state_dict()]
        kept = {name: state_dict[prefix + name] for name in own if prefix + name in state_dict}
        given = state_dict.get(f'{prefix}identity')
        unexpected_keys += [key for key in state_dict
                            if key.startswith(prefix) and key[len(prefix):] not in ('identity', *own)]
        if kept:
            lacking = self.network.load_state_dict(kept, strict=False).missing_keys
            missing_keys += [f'{prefix}{name}' for name in lacking if not name.endswith(COUNTER)]
            before = self.fingerprint
            self._identify()
            self.keep_in_checkpoint |= self.fingerprint != before
        elif given is None:
            missing_keys.append(f'{prefix}identity')
        else:
            self._be(identity_text(given))

    def _be(self, expected: str) -> None:
        """Have the weights of this identity.

        Raises:
            OSError, ValueError: they are not those of the file in ``init_cfg``, or that cannot be loaded.
        """
        remedy = 'name the file of those weights (--cfg-options init=FILE)'
        wanted = f'the checkpoint is of a frozen {type(self.network).__name__} with the weights {expected}'
        source = stated_source(self.network)
        if not self._is_loaded:
            if source is None:
                raise ValueError(f'{wanted}, and the config does not say where they are: {remedy}')
            try:
                self.init_weights()
            except FileNotFoundError:
                raise ValueError(f'{wanted}, whose file {source} is not there: {remedy}') from None
        if self.fingerprint != expected:
            raise ValueError(f'{wanted}, but those of {source or "this run"} are {self.fingerprint}: {remedy}')


def frozen_networks(model: nn.Module) -> List[nn.Module]:
    """The networks of all frozen backbones in a module, among whose parameters theirs are not."""
    return [module.network for module in model.modules() if isinstance(module, FrozenBackbone)]


def _add_kept(module: FrozenBackbone, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    """Add the weights to a state dict that is to have them, by the names that they have in a backbone that trains."""
    if module.keep_in_checkpoint:
        state_dict.update({f'{prefix}{name}': value for name, value in module.network.state_dict().items()})


def _rounded(output: Tensor) -> Tensor:
    """To float16 and back, in the memory format of maps that are read."""
    layout = torch.channels_last if output.dim() == 4 else torch.contiguous_format
    return output.half().float().contiguous(memory_format=layout)


def _outputs_of_modules(network: nn.Module, images: Tensor, names: Sequence[Union[str, int]]) -> Dict:
    modules, found = dict(network.named_modules()), {}

    def noting(name: str):
        return lambda module, inputs, output: found.update({name: output})

    handles = [modules[name].register_forward_hook(noting(name)) for name in names if isinstance(name, str)]
    try:
        maps = network(images)
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if isinstance(name, int):
            if not -len(maps) <= name < len(maps):
                raise ValueError(f'out={name} is no output of the frozen {type(network).__name__}, which gives '
                                 f'{len(maps)} maps: take a position from 0 to {len(maps) - 1}')
            found[name] = maps[name]
    return {name: found[name] for name in names}
