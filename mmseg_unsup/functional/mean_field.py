"""The dense CRF without a compiled package, exact, for small images."""
import torch
from torch import Tensor


class MeanField:
    def __init__(self, temperature=1., n_iter=10, smooth_xy=1., smooth_weight=3., edge_xy=67., edge_rgb=3.,
                 edge_weight=4.):
        self.temperature, self.n_iter = temperature, n_iter
        self.kernels = ((smooth_weight, smooth_xy, None), (edge_weight, edge_xy, edge_rgb))

    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        n_labels, height, width = scores.shape
        log_p = (scores.float() / self.temperature).log_softmax(0).flatten(1).t()  # (N, K)
        at = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij'), -1).view(-1, 2).float()
        pull = 0
        for weight, xy, rgb in self.kernels:
            feats = at / xy
            if rgb is not None:
                feats = torch.cat([feats, image.reshape(-1, 3).float() / rgb], 1)
            kernel = (-0.5 * torch.cdist(feats, feats).square()).exp_()
            norm = kernel.sum(1).rsqrt()
            pull = pull + weight * norm[:, None] * kernel * norm
        q = log_p.softmax(1)
        for _ in range(self.n_iter):
            q = (log_p + pull @ q).softmax(1)
        return q.t().view(scores.shape)
