"""Give a trained model to others: as a folder, or on the Hugging Face hub.

    mmseg-unsup push MODEL --to-folder FOLDER
    mmseg-unsup push MODEL OWNER/NAME --license apache-2.0

FOLDER gets model.safetensors, weights with their config, clusters.json, where the clusters have names, config.json to
look at, and README.md, a card with data, seed, labels seen, protocol and scores, as far as the run recorded them. It is
written after the model that is read back from it was the same, to the bit. OWNER/NAME is a repository of the hub with
these files, which is made if it is not there; it needs the extras hub and safetensors, and a token (hf auth login, or
HF_TOKEN). Both are what other commands take for MODEL, the latter as hf://OWNER/NAME, and
mmseg_unsup.from_pretrained. A clusters.json of a former model is removed from both where this one has no names, and
--private is refused for a repository that others see.

Paths in the config are reduced to their last names; read config.json before others do. Weights of a frozen backbone go
along where a file of this machine has them: then their licence must allow it.

Exit status: 0 written; 2 something is wrong with model, folder, network or token; 1 another error.
"""
import argparse

from .arguments import add_names_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('model', metavar='MODEL', help='checkpoint file, or the folder of a training: its last one')
    parser.add_argument('repository', metavar='OWNER/NAME', nargs='?', help='repository of the hub')
    parser.add_argument('--to-folder', metavar='FOLDER', help='where the files are written, and kept')
    parser.add_argument('--config', help='of the run (default: the one in the checkpoint)')
    add_names_argument(parser, 'names of the clusters')
    parser.add_argument('--license', help='of the model, as the hub writes it, such as apache-2.0 or cc-by-nc-4.0')
    parser.add_argument('--private', action='store_true',
                        help='make a repository that others do not see; one that they see is refused')


def run(args: argparse.Namespace) -> None:
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from ..hub.model_folder import write_model_folder
    from ..hub.upload import check_hub, upload_folder
    if args.to_folder is None and args.repository is None:
        raise ValueError('say where the model goes: OWNER/NAME of the hub after it, or --to-folder FOLDER')
    if args.repository is not None:
        check_hub(args.repository)
    elif args.private:
        raise ValueError('--private is for a repository of the hub: give OWNER/NAME after MODEL')
    with nullcontext(args.to_folder) if args.to_folder else TemporaryDirectory() as folder:
        title = args.repository and args.repository.rpartition('/')[2]
        print(write_model_folder(args.model, folder, args.config, args.clusters, title, args.license))
        if args.repository is not None:
            print(upload_folder(folder, args.repository, args.private))
