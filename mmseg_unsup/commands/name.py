"""Name, merge and list the clusters of a trained model.

    mmseg-unsup name MODEL --name 3=sky 5=road --merge 3,7=sky 1,2
    mmseg-unsup name MODEL clusters.json --name 3=sky

Changes CLUSTERS, or writes it anew, and lists it: by default clusters.json in the folder MODEL, which `mmseg-unsup
predict`, `gallery` and `export` then use by themselves; they and `mmseg-unsup test` read other files by --clusters.
Names come first, then groups to merge, which take the name after = or keep that of the first one listed. Clusters are
given by number, classes that were named before also by name. MODEL is the folder that `mmseg-unsup segment` wrote, the
work directory of a training, or a checkpoint file; before it may stand another CONFIG than the one in the checkpoint.
"""
import argparse

from .arguments import add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument('clusters', metavar='CLUSTERS', nargs='?',
                        help='file to write or change (default: clusters.json in the folder MODEL)')
    parser.add_argument('--name', nargs='+', default=[], metavar='CLUSTER=NAME')
    parser.add_argument('--merge', nargs='+', default=[], metavar='CLUSTER,CLUSTER[=NAME]')
    parser.add_argument('--from-labels', choices=['hungarian', 'majority'], help='begin anew with the names of the '
                        "classes that this matching to the labels of the config's test images gives; 'majority' merges")


def run(args: argparse.Namespace) -> None:
    import shlex

    from ..apis.model_files import is_config
    from ..apis.naming import name_clusters
    from ..utils.console import next_steps
    config, model, clusters = args.config, args.model, args.clusters
    if clusters is None and config is not None and not is_config(config):  # MODEL CLUSTERS
        config, model, clusters = None, config, model
    print(name_clusters(config, model, clusters, args.name, args.merge, args.from_labels, args.cfg_options))
    named = ['--clusters', clusters] if clusters else []
    print(next_steps(f'predict {shlex.join([*([config] if config else []), model, "IMAGES", "--out", "OUT", *named])}'))
