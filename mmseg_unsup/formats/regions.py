"""Connected regions of label maps, as polygons whose coordinates are corners of pixels: (0, 0) is that of the image."""
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

# coverage_simplify drops a corner whose triangle has an area below the square of its tolerance; that of a step of one
# pixel is 1/2, and must be below it
_PER_PIXEL = 0.7072


class Region(NamedTuple):
    """A connected region of a class.

    Attributes:
        class_id: of the label map.
        ring: (N, 2) float64 x and y of its outline in pixels, without the first point again at the end. A hole is cut
            open: a slit of no width leads to it, so that the ring has the same inside by every rule of filling.
        area: in square pixels.
    """
    class_id: int
    ring: np.ndarray
    area: float


def trace_regions(ids: np.ndarray, n_classes: int, tolerance: float) -> List[Region]:
    """The regions of an (H, W) map of class ids, those of ``n_classes`` and above, which are void, left out.

    Pixels that meet at a corner alone are not connected. Neighbours share their simplified boundary: there are no gaps
    between them, and no overlaps.

    Args:
        tolerance: pixels; a boundary loses corners whose triangle is at most as large as half a square of this side
            (Visvalingam and Whyatt, 'Line generalisation by repeated elimination of points', 1993). 0 keeps every step.
    """
    import shapely
    polygons = shapely.get_parts(shapely.polygonize(shapely.linestrings(_boundaries(ids))))
    inside = shapely.get_coordinates(shapely.point_on_surface(polygons)).astype(int)
    classes = ids[inside[:, 1], inside[:, 0]]
    polygons = shapely.coverage_simplify(polygons, tolerance * _PER_PIXEL)[classes < n_classes]
    rings, owners = shapely.get_rings(polygons, return_index=True)
    corners = np.split(shapely.get_coordinates(rings), np.cumsum(shapely.get_num_coordinates(rings))[:-1])
    of_polygon = [[] for _ in polygons]
    for ring, owner in zip(corners, owners):
        of_polygon[owner].append(ring[:-1])
    return [Region(int(c), cut_open(of_region), float(area))
            for c, of_region, area in zip(classes[classes < n_classes], of_polygon, shapely.area(polygons))]


def _boundaries(ids: np.ndarray) -> np.ndarray:
    """(H, W) -> (L, 2, 2) ends, x and y, of the straight lines between pixels of different ids, and around the map."""
    height, width = ids.shape
    outside = np.pad(ids.astype(np.int64), 1, constant_values=-1)
    down, right = np.zeros((2, height + 1, width + 1), bool)  # whether a line leads there from a corner
    down[:-1] = outside[1:-1, 1:] != outside[1:-1, :-1]
    right[:, :-1] = outside[1:, 1:-1] != outside[:-1, 1:-1]
    return np.concatenate([_straight(down, right), _straight(right.T, down.T)[..., ::-1]]).astype(float)


def _straight(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Ends (x, y) of the vertical lines, each as long as no other line meets it."""
    meets = right.copy()
    meets[:, 1:] |= right[:, :-1]
    goes_on = np.zeros_like(down)  # through the corner above an edge
    goes_on[1:] = down[1:] & down[:-1] & ~meets[1:]
    ends_below = down.copy()
    ends_below[:-1] &= ~goes_on[1:]
    starts, ends = np.argwhere((down & ~goes_on).T), np.argwhere(ends_below.T) + (0, 1)
    return np.stack([starts, ends], 1)


class _Joint(NamedTuple):
    """Where the slit to a hole leaves another ring."""
    edge: int  # of the other ring
    distance: float  # from the beginning of the edge
    point: np.ndarray  # (2,)
    ring: np.ndarray  # the hole, from the point where the slit meets it


def cut_open(rings: Sequence[np.ndarray]) -> np.ndarray:
    """An outline and the holes in it, (N, 2) each -> one ring: from its leftmost point a horizontal slit leads from
    every hole to what lies left of it."""
    outer, *holes = rings
    if not holes:
        return outer
    holes = sorted((np.roll(hole, -int(np.argmin(hole[:, 0])), 0) for hole in holes), key=lambda hole: hole[0, 0])
    rings, joints = [outer, *holes], [[] for _ in rings]
    hits = _left_of(rings)
    for i in range(len(rings) - 1, 0, -1):  # what hangs on a hole is part of it before it is part of another
        other, edge, point = hits[i - 1]
        distance = float(np.abs(point - rings[other][edge]).sum())
        joints[other].append(_Joint(edge, distance, point, _joined(rings[i], joints[i])))
    return _joined(outer, joints[0])


def _joined(ring: np.ndarray, joints: List[_Joint]) -> np.ndarray:
    """A ring with the holes that hang on it."""
    parts, done = [], 0
    for edge, _, point, hole in sorted(joints, key=lambda joint: joint[:2]):
        parts += [ring[done:edge + 1], point[None], hole, hole[:1], point[None]]
        done = edge + 1
    return np.concatenate([*parts, ring[done:]])


def _left_of(rings: Sequence[np.ndarray]) -> List[Tuple[int, int, np.ndarray]]:
    """Of each ring but the first: the former ring that lies next to the left of its first point, the number of the edge
    that is met there, and where."""
    import shapely
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, 0) for ring in rings])
    owners = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    firsts = np.array([ring[0] for ring in rings[1:]])
    rays = np.stack([np.stack([np.full(len(firsts), starts[:, 0].min()), firsts[:, 1]], 1), firsts], 1)
    edges = shapely.linestrings(np.stack([starts, ends], 1))
    ray, edge = shapely.STRtree(edges).query(shapely.linestrings(rays))
    steep = (owners[edge] <= ray) & (starts[edge, 1] != ends[edge, 1])
    ray, edge = ray[steep], edge[steep]
    (x0, y0), (x1, y1), (x, y) = starts[edge].T, ends[edge].T, firsts[ray].T
    met = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    nearest = np.lexsort([np.where(met <= x, met, -np.inf), ray])
    last = nearest[np.append(np.flatnonzero(np.diff(ray[nearest])), len(nearest) - 1)]
    begins = np.searchsorted(owners, np.arange(len(rings)))
    return [(int(owners[e]), int(e - begins[owners[e]]), np.array([met_x, at_y]))
            for e, met_x, at_y in zip(edge[last], met[last], y[last])]
