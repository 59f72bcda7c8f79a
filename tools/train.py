"""Train a model from a config.

A work directory belongs to one run: where there are checkpoints of one, say whether it goes on (--resume) or gives way
(--restart), or take another --work-dir.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1 after a checkpoint was written (continue with --resume); 143
or 138 stopped by a second signal; 1 an error.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve

from mmseg_unsup.engine.training import train_config
from mmseg_unsup.utils.command_line import add_speed_arguments, config_from, prepare_training, runner_parser
from mmseg_unsup.utils.data_workers import ending_data_workers


@ending_data_workers()
def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run: from the checkpoint PATH, or (auto) from the last one in the work dir')
    parser.add_argument(
        '--restart',
        action='store_true',
        help='start anew; checkpoints in the work dir are removed (not with --resume, which tools/slurm_train.sh adds)')
    add_speed_arguments(parser)
    args = parser.parse_args()
    cfg = config_from(args)
    prepare_training(cfg, args)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    train_config(cfg, args.restart and not args.resume)


if __name__ == '__main__':
    main()
