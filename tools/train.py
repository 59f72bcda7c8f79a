"""Train a model from a config."""
import mmseg_unsup  # noqa: F401, isort: skip -- makes mmseg:: and mmseg_unsup:: references resolve
from mmengine.runner import Runner

from mmseg_unsup.utils.command_line import config_from, runner_parser


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run: from the checkpoint PATH, or (auto) from the last one in the work dir')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    args = parser.parse_args()
    cfg = config_from(args)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
