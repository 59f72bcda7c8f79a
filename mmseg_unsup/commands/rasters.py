"""Make pictures of satellite and aerial images, or of others with many bands, 16 bits or floats.

    mmseg-unsup rasters RASTERS --out IMAGES
    mmseg-unsup rasters RASTERS --out IMAGES --bands 4 3 2 --range 0 3000
    mmseg-unsup rasters RASTERS --out IMAGES --cut 1024

IMAGES is a folder for `mmseg-unsup segment` and all else: GeoTIFFs of 8 bits, grey or red, green and blue, with the
coordinates of the rasters. `predict --format geotiff` and `convert-maps --format geotiff` write maps with these.

RASTERS is a GeoTIFF or JPEG 2000, or a folder of such. One or three bands are taken as they are, besides alpha; of
others --bands says which. Values of 8 bits stay; for others --range LOW HIGH says which become 0 and 255, those between
in proportion. It is one range for all files and bands: one place has one colour in all pictures. What is not said is
refused, and the message has a range that leaves out 2 % at both ends.

--cut N cuts rasters into pictures of at most N columns and rows, of one size but for a pixel, called
NAME_ROW_COLUMN.tif by where they begin. Then memory does not grow with the raster, here and in what follows. Pictures
without any value are left out. The same command given again goes on where it was stopped. Needs the extra `geo`.
"""
import argparse

from ..utils.checks import at_least, is_finite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', metavar='RASTERS', help='raster, or folder of rasters, with sub-folders')
    parser.add_argument('--out', required=True, metavar='IMAGES', help='folder of the pictures')
    parser.add_argument('--bands', type=at_least(1), nargs='+', metavar='BAND', help='numbers of the bands that are '
                        'red, green and blue, or of the one that is grey; they count from 1')
    parser.add_argument('--range', dest='limits', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='values that become 0 and 255')
    parser.add_argument('--cut', type=at_least(16), metavar='PIXELS', help='most columns and rows of a picture '
                        '(default: any)')


def run(args: argparse.Namespace) -> None:
    import shlex

    from ..converters.rasters import Rule, convert_rasters
    from ..utils.console import counted, next_steps
    if args.bands is not None and len(args.bands) not in (1, 3):
        raise ValueError(f'--bands {" ".join(map(str, args.bands))} are {len(args.bands)}: give three, for red, green '
                         'and blue, or one')
    if args.limits is not None and not (all(map(is_finite, args.limits)) and args.limits[0] < args.limits[1]):
        raise ValueError('--range {:g} {:g} must be two numbers, the first one smaller'.format(*args.limits))
    n_pictures, n_empty = convert_rasters(args.source, args.out, Rule(args.bands, args.limits, args.cut))
    left_out = f', {n_empty} left out without values' if n_empty else ''
    print(f'{counted(n_pictures, "picture")} in {args.out}{left_out}')
    out = shlex.quote(args.out)
    print(next_steps(f'segment {out} --method picie --out OUT', f'predict MODEL {out} --out OUT --format geotiff'))
