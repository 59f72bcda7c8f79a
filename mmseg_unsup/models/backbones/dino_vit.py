"""The vision transformers of DINO, DINOv2 and DINOv3 under their official names."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import MODELS
from ...utils.near_names import advice
from ...weights import REGISTERS, VIT_SIZES, ViTSize, known_network, read_part
from .vit_positions import RotaryPositions, resize_positions, rotate

_MAPS = ('tokens', 'keys', 'queries', 'values')
_OUTPUTS = (*_MAPS, 'attention', 'cls')
_NORMED = {'tokens', 'cls'}  # which need the whole of their block


class _Family(NamedTuple):
    """What the official models of a family have in common.

    Attributes:
        img_size: of their position embeddings, in pixels; None for rotary positions.
        eps: of the layer norms.
    """
    patch_size: int
    img_size: Optional[int]
    n_registers: int
    eps: float
    layer_scale: bool
    licence: str


_FAMILIES = {
    'dino': _Family(16, 224, 0, 1e-6, False, 'weights of DINO are under Apache-2.0'),
    'dinov2': _Family(14, 518, 0, 1e-6, True, 'weights of DINOv2 are under Apache-2.0'),
    'dinov3': _Family(16, None, 4, 1e-5, True, 'weights of DINOv3 are under the DINOv3 License'),
}


@MODELS.register_module()
class DINOViT(BaseModule):
    """A vision transformer of DINO, DINOv2 (with registers or without) or DINOv3, with parameters by official names.

    Official files load by path, strictly, and give the values of the official code: ``.pth`` and, with the extra
    ``safetensors``, ``.safetensors``. None is shipped. The weights of DINO and DINOv2 are under Apache-2.0; those of
    DINOv3 and what is derived from them are under the DINOv3 License, which restricts uses, and must be passed on with
    it (https://ai.meta.com/resources/models-and-libraries/dinov3-license). MAE's encoder is one of the family
    ``'dino'`` (CC BY-NC 4.0).

    Images are normalised as ImageNet's. One whose sides are no multiples of a patch is resized bilinearly to the
    nearest ones, so that the map still spans it exactly; on multiples nothing is changed.

    Outputs by name, of the last block, or as ``'keys.9'`` of any, from 0; all in one pass, which ends where the last
    one is known:

    - ``'tokens'``: (N, C, h, w) patch tokens after the final norm, also those of earlier blocks;
    - ``'keys'``, ``'queries'``, ``'values'``: (N, C, h, w), heads one after the other, before any rotation;
    - ``'attention'``: (N, heads, L, L) after the softmax; the L tokens are class, registers, patches row by row;
    - ``'cls'``: (N, C) class token after the final norm.

    Args:
        family: ``'dino'``, ``'dinov2'`` or ``'dinov3'``.
        arch: ``'small'``, ``'base'`` and so on, or a dict of ``embed_dims``, ``num_layers``, ``num_heads``,
            ``feedforward_channels`` and ``gated`` (SwiGLU).
        patch_size: in pixels; that of the family by default (16, 14, 16).
        n_registers: register or storage tokens, 0 for DINO and plain DINOv2, 4 for DINOv3 by default.
        img_size: side in pixels of the images to whose grid the position embeddings belong; 224 and 518 by default.
        antialias: resize the position embeddings to a size with antialias, as the official DINOv2 does with registers
            and timm always, instead of by a factor; None for the official rule.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)``; options are those of
            :class:`mmseg_unsup.PretrainedBackbone`, which loads all tensors or none.

    Attributes:
        output_names (Tuple[str, ...]): all names.
        licence (str): a sentence on the official weights of the family, for logs.

    Raises:
        ValueError: an argument that the family does not have; see also :meth:`forward`.
    """

    def __init__(self,
                 family: str = 'dinov2',
                 arch: Union[str, dict] = 'small',
                 patch_size: Optional[int] = None,
                 n_registers: Optional[int] = None,
                 img_size: Optional[int] = None,
                 antialias: Optional[bool] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(_strict(init_cfg))
        if family not in _FAMILIES:
            raise ValueError(f'family={family!r} of DINOViT is unknown{advice(str(family), _FAMILIES)}')
        official, size = _FAMILIES[family], _size(arch)
        self.family, self.licence, self.num_heads = family, official.licence, size.num_heads
        self.patch_size = official.patch_size if patch_size is None else patch_size
        self.n_registers = official.n_registers if n_registers is None else n_registers
        self.antialias = self.n_registers > 0 if antialias is None else antialias
        self._add_tokens(size.embed_dims, official.img_size, img_size)
        self.patch_embed = _PatchEmbed(size.embed_dims, self.patch_size)
        self.blocks = nn.ModuleList(_Block(size, family) for _ in range(size.num_layers))
        self.norm = nn.LayerNorm(size.embed_dims, official.eps)
        self.output_names = tuple(_OUTPUTS) + tuple(f'{kind}.{i}' for i in range(size.num_layers) for kind in _OUTPUTS)

    def _add_tokens(self, channels: int, own_size: Optional[int], img_size: Optional[int]) -> None:
        """What stands before the patches, and where these are; random ones as the official code draws them."""
        self.cls_token = nn.Parameter(nn.init.normal_(torch.empty(1, 1, channels), std=0.02))
        registers = REGISTERS.get(self.family)
        if self.n_registers and registers is None:
            raise ValueError(f'n_registers={self.n_registers}, but the family {self.family!r} has none: leave '
                             "n_registers out, or set family='dinov2'")
        if self.n_registers:
            tokens = torch.empty(1, self.n_registers, channels)
            self.register_parameter(registers, nn.Parameter(nn.init.normal_(tokens, std=0.02)))
        if self.family != 'dino':  # only pre-training reads it
            self.register_buffer('mask_token', torch.zeros(1, channels))
        if own_size is None:
            if img_size is not None:
                raise ValueError(f'img_size={img_size}, but DINOv3 has no position embeddings of a size: leave it out')
            self.rope_embed = RotaryPositions(channels // self.num_heads)
        else:
            side = (own_size if img_size is None else img_size) // self.patch_size
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1 + side**2, channels), std=0.02))

    def forward(self, images: Tensor) -> Tuple[Tensor]:
        """(N, 3, H, W) -> a tuple of the map ``'tokens'``, (N, C, H / patch, W / patch).

        Raises:
            ValueError: a side is shorter than a patch.
        """
        return self.named_outputs(images, ['tokens'])['tokens'],

    def named_outputs(self, images: Tensor, names: Sequence[str]) -> Dict[str, Tensor]:
        """Outputs by name, see :class:`DINOViT`.

        Raises:
            ValueError: there is no output of such a name; as :meth:`forward`.
        """
        places = {name: self._place(name) for name in names}
        x, grid, rotation = self._embed(images)
        found, last = {}, max((number for _, number in places.values()), default=-1)
        for number, block in enumerate(self.blocks[:last + 1]):
            kinds = {kind for kind, at in places.values() if at == number}
            of_block = block.attn(block.norm1(x), rotation, 'attention' in kinds)
            if number < last or kinds & _NORMED:
                x = block.finish(x, of_block)
            for name, (kind, at) in places.items():
                if at == number:
                    found[name] = self._output(kind, x, of_block, grid)
        return {name: found[name] for name in names}

    def _place(self, name: str) -> Tuple[str, int]:
        """``'keys.9'`` -> ``('keys', 9)``; ``'keys'`` is that of the last block."""
        if name not in self.output_names:
            depth = len(self.blocks)
            raise ValueError(f'DINOViT has no output {name!r}: take {", ".join(_OUTPUTS)}, with .0 to .{depth - 1} '
                             'behind it for a block')
        kind, _, number = name.partition('.')
        return kind, int(number) if number else len(self.blocks) - 1

    def _embed(self, images: Tensor) -> Tuple[Tensor, tuple, Optional[tuple]]:
        """Tokens (N, L, C) before the first block, the grid (h, w), and the rotation where there is one."""
        x = self.patch_embed(self._whole_patches(images))
        grid, rotation = (x.shape[2], x.shape[3]), None
        x, cls_token = x.flatten(2).transpose(1, 2), self.cls_token
        if self.family == 'dinov3':
            rotation = self.rope_embed(*grid)
        else:
            cls_token = cls_token + self.pos_embed[:, :1]
            x = x + resize_positions(self.pos_embed[:, 1:], *grid, self.antialias)
        before = [cls_token]
        if self.n_registers:  # they have no position
            before.append(getattr(self, REGISTERS[self.family]))
        return torch.cat([token.expand(x.shape[0], -1, -1) for token in before] + [x], 1), grid, rotation

    def _whole_patches(self, images: Tensor) -> Tensor:
        sides, patch = images.shape[2:], self.patch_size
        is_followed = torch.jit.is_tracing() or torch.compiler.is_compiling()  # for sides of any length
        if not is_followed and min(sides) < patch:
            raise ValueError(f'an image of {sides[1]}x{sides[0]} px is smaller than a patch of {patch} px: set a '
                             'larger size, or leave it out')
        whole = [(side + patch // 2) // patch * patch for side in sides]
        if not is_followed and whole == [*sides]:
            return images
        return F.interpolate(images, whole, mode='bilinear')

    def _output(self, kind: str, x: Tensor, of_block: '_Attended', grid: tuple) -> Tensor:
        if kind == 'attention':
            return of_block.attention
        if kind == 'cls':
            return self.norm(x[:, 0])
        tokens = self.norm(x) if kind == 'tokens' else getattr(of_block, kind).transpose(1, 2).flatten(2)
        tokens = tokens[:, 1 + self.n_registers:].transpose(1, 2)
        return tokens.reshape(x.shape[0], tokens.shape[1], *grid)


def dino_vit_config(path: str) -> dict:
    """The config of the :class:`DINOViT` whose weights a file holds, with that file as ``init_cfg``.

    Family, size, patch and registers are recognised by names and shapes; files are those of
    :class:`mmseg_unsup.PretrainedBackbone`: official ones, checkpoints of their training and of this package.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read, or holds another network.
    """
    config = known_network(read_part(path), only_transformers=True)
    return dict(config, init_cfg=dict(type='Pretrained', checkpoint=path))


class _Attended(NamedTuple):
    """Parts of a self-attention: three (N, heads, L, d) before rotation, (N, heads, L, L) or None, and what comes out,
    (N, L, C)."""
    queries: Tensor
    keys: Tensor
    values: Tensor
    attention: Optional[Tensor]
    mixed: Tensor


class _Attention(nn.Module):

    def __init__(self, channels: int, num_heads: int, masks_key_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = (_MaskedBiasLinear if masks_key_bias else nn.Linear)(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, rotation: Optional[tuple], shows: bool) -> _Attended:
        """
        Args:
            x: (N, L, C).
            shows: compute the matrix of attention, which is not needed otherwise.
        """
        n, length, channels = x.shape
        parts = self.qkv(x).reshape(n, length, 3, self.num_heads, channels // self.num_heads).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts.unbind(0)
        q, k = (queries, keys) if rotation is None else (rotate(part, rotation) for part in (queries, keys))
        if shows or torch.onnx.is_in_onnx_export():  # ONNX has no other attention before opset 14
            attention = (q * q.shape[-1]**-0.5 @ k.transpose(-2, -1)).softmax(-1).to(values.dtype)
            mixed = attention @ values
        else:
            attention, mixed = None, F.scaled_dot_product_attention(q, k, values)
        return _Attended(queries, keys, values, attention, mixed.transpose(1, 2).reshape(n, length, channels))


class _MaskedBiasLinear(nn.Linear):
    """DINOv3's, in which the bias of the keys counts as 0."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels)
        self.register_buffer('bias_mask', torch.ones(3, channels).index_fill_(0, torch.tensor(1), 0.).flatten())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias * self.bias_mask)


class _Block(nn.Module):

    def __init__(self, size: ViTSize, family: str) -> None:
        super().__init__()
        channels, official = size.embed_dims, _FAMILIES[family]
        self.norm1 = nn.LayerNorm(channels, official.eps)
        self.attn = _Attention(channels, size.num_heads, family == 'dinov3')
        self.ls1, self.ls2 = (_LayerScale(channels) if official.layer_scale else nn.Identity() for _ in range(2))
        self.norm2 = nn.LayerNorm(channels, official.eps)
        mlp = _MLP if not size.gated else _SplitSwiGLU if family == 'dinov3' else _SwiGLU
        self.mlp = mlp(channels, size.feedforward_channels)

    def finish(self, x: Tensor, attended: _Attended) -> Tensor:
        """(N, L, C) before the block -> after it."""
        x = x + self.ls1(self.attn.proj(attended.mixed))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _LayerScale(nn.Module):

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _MLP(nn.Module):

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _SwiGLU(nn.Module):
    """DINOv2's, whose gate and values are one layer."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w12, self.w3 = nn.Linear(channels, 2 * hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate, values = self.w12(x).chunk(2, -1)
        return self.w3(F.silu(gate) * values)


class _SplitSwiGLU(nn.Module):
    """DINOv3's, whose gate and values are two layers."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = (nn.Linear(*sizes) for sizes in ((channels, hidden), (channels, hidden),
                                                                        (hidden, channels)))

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class _PatchEmbed(nn.Module):

    def __init__(self, channels: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch_size, patch_size)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images)


def _strict(init_cfg: Optional[Union[dict, List[dict]]]) -> Optional[Union[dict, List[dict]]]:
    """``type='Pretrained'`` by the initialiser of this package: mmengine's drops what does not fit."""
    if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
        return dict(init_cfg, type='mmseg_unsup.PretrainedBackbone')
    return init_cfg


def _size(arch: Union[str, dict]) -> ViTSize:
    if isinstance(arch, str):
        if arch not in VIT_SIZES:
            raise ValueError(f'arch={arch!r} of DINOViT is unknown{advice(arch, VIT_SIZES)}')
        return VIT_SIZES[arch]
    try:
        size = ViTSize(**arch)
    except TypeError:
        raise ValueError(f'arch={dict(arch)} of DINOViT must have {", ".join(ViTSize._fields[:4])} and may have gated'
                         ) from None
    if size.embed_dims % (4 * size.num_heads):
        raise ValueError(f'embed_dims={size.embed_dims} of DINOViT is no multiple of 4 num_heads={4 * size.num_heads}')
    return size
