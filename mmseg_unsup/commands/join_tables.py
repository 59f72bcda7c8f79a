"""Put the tables of several evaluations into one, if their numbers can be compared.

    mmseg-unsup join-tables work_dirs/a/evaluation.json work_dirs/b/evaluation.json --card honest

Every row has a protocol card, see mmseg-unsup evaluate-released. Rows whose cards or data differ are refused with what
differs; --card takes those of one card, --unlike takes all, and the table marks the lines of the cards that differ.
"""
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('tables', nargs='+', metavar='TABLE', help='evaluation.json or seeds.json')
    parser.add_argument('--card', metavar='NAME', help='take only rows of this card')
    parser.add_argument('--unlike', action='store_true', help='allow rows that were not scored alike')
    parser.add_argument('--metrics', nargs='+', default=['aAcc', 'mIoU'], help='(default: aAcc mIoU)')
    parser.add_argument('--out', metavar='FILE', help='also write the table to this file, as Markdown')


def run(args: argparse.Namespace) -> None:
    from ..analysis.joined_tables import join_tables
    from ..converters.files import refuse_existing
    from ..utils.atomic import write_text
    if args.out:
        refuse_existing(args.out, True, args.tables)
    table = join_tables(args.tables, args.metrics, args.card, args.unlike)
    print(table)
    if args.out:
        write_text(args.out, f'{table}\n')
        print(f'\nwrote {args.out}')
