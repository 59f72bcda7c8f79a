"""Train a model from a config.

Exit status: 0 finished; 75 stopped by SIGTERM or SIGUSR1 after a checkpoint was written (continue with --resume); 143
or 138 stopped by a second signal; 1 an error.
"""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.utils.command_line import add_speed_arguments, apply_speed_arguments, config_from, runner_parser


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run: from the checkpoint PATH, or (auto) from the last one in the work dir')
    add_speed_arguments(parser)
    args = parser.parse_args()
    cfg = config_from(args)
    apply_speed_arguments(cfg, args)
    # configs of MMSegmentation do not list it
    cfg.setdefault('default_hooks', {}).setdefault('initialization', dict(type='mmseg_unsup.InitializationHook'))
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
