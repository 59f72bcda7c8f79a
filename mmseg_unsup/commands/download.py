"""Download a data set or weights by name.

    mmseg-unsup download
    mmseg-unsup download camvid
    mmseg-unsup download cityscapes --archive leftImg8bit_trainvaltest.zip gtFine_trainvaltest.zip
    mmseg-unsup download weights
    mmseg-unsup download weights resnet18 dino_vits16

Without a name it lists the data sets, with `weights` the weights. Sizes and licence are said before anything is
fetched. Data go to the folder in which the configs look for them, weights to torch's cache, where configs find them
without a network; --out names another one. A data set is unpacked beside its place and moved there when it is whole; a
folder that is there is left as it is.

The same command given again goes on with a download that was cut off. Files are compared with the hash that was
published (SHA-256, else SHA-1 or MD5); one that differs is kept as NAME.wrong and not used. Where none was published,
the command says so and writes the SHA-256 of what came to downloaded.json. Downloaded archives are removed once they
are unpacked, those of --archive are not.

Cityscapes and Potsdam need an account with those who publish them: fetch their archives there, and give them by
--archive, which also spares the download of what is here already.

Exit status: 0 it is there; 2 it cannot be had, or is not what was published; 1 another error.
"""
import argparse

WEIGHTS = 'weights'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('what', metavar='WHAT', nargs='?',
                        help=f'camvid, cocostuff, cityscapes, voc or potsdam; or {WEIGHTS}')
    parser.add_argument('names', metavar='NAME', nargs='*', help=f'after {WEIGHTS}: which ones')
    parser.add_argument('--out', '--data-root', metavar='DIR', help='folder to write to (default: the data_root of the '
                        "configs; for weights torch's cache)")
    parser.add_argument('--archive', nargs='+', default=[], metavar='FILE',
                        help='archives of the data set that are here already, under their own names')
    parser.add_argument('--mirror', metavar='URL', help='address of a folder with the files under their own names, in '
                        'place of the published addresses')


def run(args: argparse.Namespace) -> None:
    if args.what == WEIGHTS:
        from ..downloads.weights import download_weights, list_weights
        if args.archive:
            raise ValueError('--archive is for data sets: a file of weights that is here is named by --init FILE, or '
                             '--cfg-options init=FILE')
        print(download_weights(args.names, args.out, args.mirror) if args.names else list_weights())
        return
    from ..downloads.data_sets import download_data_set, list_data_sets
    if args.names:
        raise ValueError(f'{args.what} {" ".join(args.names)}: give one data set at a time')
    print(list_data_sets() if args.what is None else
          download_data_set(args.what, args.out, args.archive, args.mirror))
