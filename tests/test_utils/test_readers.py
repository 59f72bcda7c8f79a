"""Whatever in the package or its tools reads a file, or runs something by its name, is listed here with the reason why
a file of a stranger can run nothing there. tests/test_tools/test_payloads.py tries it."""
import ast
from pathlib import Path
from typing import Dict, Set

from ..conftest import ROOT

# last words of functions of other packages, and of methods of their objects
READERS = {
    # weights and networks
    'load', 'loads', 'load_url', 'load_state_dict_from_url', 'load_checkpoint', '_load_checkpoint', 'load_from_local',
    'load_file', 'safe_open', 'InferenceSession', 'from_pretrained', 'snapshot_download', 'hf_hub_download',
    'create_model', 'init_model',
    'init_segmentor', 'MMSegInferencer',
    # pickles, tables, archives and settings
    'Unpickler', 'unsafe_load', 'full_load', 'safe_load', 'fromfile', 'fromstring', 'loadtxt', 'genfromtxt', 'memmap',
    'loadmat', 'File', 'read_csv', 'read_pickle', 'ZipFile', 'is_zipfile', 'open', 'read_text', 'read_bytes',
    'get_text', 'list_from_file', 'parse', 'dict_from_file', 'get_local_path',
    # pictures
    'imread', 'imdecode', 'imfrombytes', 'VideoCapture',
    # names and texts that become code
    'eval', 'exec', 'compile', '__import__', 'import_module', 'import_modules_from_strings', 'get_object_from_string',
    'locate', 'run_path', 'run_module', 'exec_module', 'system', 'popen', 'Popen', 'run', 'call', 'check_call',
    'check_output',
}
# methods of any object; their other namesakes are too many
METHODS = {'fromfile', 'fromstring', 'read_text', 'read_bytes', 'from_pretrained', 'exec_module', 'load_checkpoint'}
BUILTINS = {'open', 'eval', 'exec', 'compile', '__import__'}

WEIGHTS = 'tensors and plain values, see safe_loading.py'
TEXT = 'text or JSON'
PICTURE = 'a decoder of pictures'
CONFIG = 'a config that the user names is code'
OWN = 'written a moment before'
FIXED = 'the name or command does not come from a file'
ALLOWED = {
    'mmseg_unsup/__init__.py': {'importlib.import_module': FIXED},
    'mmseg_unsup/commands/table.py': {'importlib.import_module': FIXED},
    'mmseg_unsup/commands/running.py': {'os.open': 'the null device'},
    'mmseg_unsup/utils/cpu.py': {'open': 'what the system says of the CPU'},
    'mmseg_unsup/utils/registered.py': {'mmengine.utils.get_object_from_string': CONFIG},
    'mmseg_unsup/hosts/safe_loading.py': {'torch.load': WEIGHTS, 'pydoc.locate': 'what the user allows',
                                          'mmengine.runner.CheckpointLoader.load_checkpoint': WEIGHTS,
                                          'zipfile.ZipFile': 'names only', 'zipfile.is_zipfile': 'a question',
                                          'safetensors.safe_open': 'tensors only', 'json.loads': TEXT,
                                          'open': 'its first bytes'},
    'mmseg_unsup/apis/loading.py': {'mmengine.runner.CheckpointLoader.load_checkpoint': WEIGHTS,
                                    'zipfile.is_zipfile': 'a question'},
    'mmseg_unsup/utils/digests.py': {'open': 'hashes'},
    'mmseg_unsup/utils/fetching.py': {'open': TEXT},
    'mmseg_unsup/utils/archives.py': {'zipfile.ZipFile': 'regular files, copied below a folder',
                                      'zipfile.is_zipfile': 'a question', 'tarfile.open': 'the same as of a zip'},
    'mmseg_unsup/downloads/installing.py': {'cv2.imread': PICTURE, 'subprocess.run': FIXED},
    'mmseg_unsup/downloads/data_sets.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/apis/model_files.py': {'huggingface_hub.hf_hub_download': 'two files of known names: ' + WEIGHTS},
    'mmseg_unsup/analysis/feature_sample.py': {'mmengine.runner.load_checkpoint': WEIGHTS},
    'mmseg_unsup/weights/pretrained_file.py': {'mmengine.runner.CheckpointLoader.load_checkpoint': WEIGHTS},
    'mmseg_unsup/hosts/published_weights.py': {'importlib.import_module': FIXED, 'zipfile.ZipFile': 'checksums',
                                               'zipfile.is_zipfile': 'checksums',
                                               'open': 'checksums, and the table of mmengine', 'json.load': TEXT},
    'mmseg_unsup/engine/run_folder.py': {'os.open': 'a lock'},
    'mmseg_unsup/utils/run_record.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/engine/checkpoint_files.py': {'zipfile.ZipFile': 'checksums', 'zipfile.is_zipfile': 'checksums',
                                               'open': TEXT},
    'mmseg_unsup/priors/model.py': {'mmseg.apis.init_model': CONFIG,
                                    'onnxruntime.InferenceSession': 'operators only, of files below its folder'},
    'mmseg_unsup/apis/export.py': {'onnxruntime.InferenceSession': OWN, 'torch.jit.load': OWN,
                                   'torch.export.load': OWN, 'open': OWN},
    'mmseg_unsup/utils/config_text.py': {'ast.parse': 'a syntax tree, which runs nothing'},
    'mmseg_unsup/utils/config.py': {'mmengine.config.Config.fromfile': CONFIG,
                                    'mmengine.utils.import_modules_from_strings': CONFIG},
    'mmseg_unsup/analysis/label_efficiency.py': {'mmengine.config.Config.fromfile': CONFIG,
                                                 'mmengine.fileio.list_from_file': TEXT},
    'mmseg_unsup/utils/stored_config.py': {'importlib.import_module': 'known packages'},
    'mmseg_unsup/utils/setup_env.py': {'importlib.import_module': FIXED},
    'mmseg_unsup/utils/stack.py': {'importlib.import_module': FIXED},
    'mmseg_unsup/converters/extract_backbone.py': {'importlib.import_module': FIXED},
    'mmseg_unsup/utils/distributed.py': {'subprocess.run': FIXED},
    'mmseg_unsup/analysis/gpu_report.py': {'subprocess.run': FIXED, 'subprocess.Popen': FIXED, 'open': TEXT,
                                           'json.loads': OWN, 'mmengine.fileio.load': OWN},
    'mmseg_unsup/analysis/experiments.py': {'subprocess.run': FIXED, 'mmengine.fileio.load': TEXT, 'open': TEXT},
    'mmseg_unsup/apis/segment_examples.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/apis/segment_work.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/apis/folder_request.py': {'json.loads': OWN},
    'mmseg_unsup/apis/label_next.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/apis/learn_work.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/converters/own_folder.py': {'json.loads': OWN, 'json.load': TEXT, 'open': TEXT},
    'mmseg_unsup/priors/base.py': {'json.loads': OWN},
    'mmseg_unsup/apis/segment_stages.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/analysis/released_picie.py': {
        'importlib.import_module': 'code of a clone that the user names', 'zipfile.ZipFile': 'what git packed',
        'subprocess.run': FIXED, 'torch.serialization.load': WEIGHTS},
    'mmseg_unsup/analysis/seeds.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/analysis/analyze_logs.py': {'open': TEXT},
    'mmseg_unsup/apis/folder_journal.py': {'open': TEXT, 'json.loads': TEXT},
    'mmseg_unsup/apis/journal_files.py': {'open': TEXT, 'json.loads': TEXT},
    'mmseg_unsup/apis/mask_folder.py': {'open': TEXT, 'json.load': TEXT},
    'mmseg_unsup/converters/released_layouts.py': {'numpy.load': 'arrays of numbers: allow_pickle=False'},
    'mmseg_unsup/analysis/joined_tables.py': {'mmengine.fileio.load': TEXT},
    'mmseg_unsup/converters/coco_stuff27.py': {'cv2.imread': PICTURE},
    'mmseg_unsup/commands/label_subsets.py': {'mmengine.fileio.list_from_file': TEXT},
    'mmseg_unsup/structures/cluster_names.py': {'open': TEXT, 'json.load': TEXT},
    'mmseg_unsup/utils/run_logs.py': {'open': TEXT, 'json.loads': TEXT},
    'mmseg_unsup/utils/memory.py': {'open': TEXT, 'read_text': TEXT},
    'mmseg_unsup/presets.py': {'read_text': TEXT},
    'mmseg_unsup/utils/atomic.py': {'os.open': 'a folder, to flush it', 'open': 'bytes, which are compared'},
    'mmseg_unsup/datasets/feature_store.py': {'numpy.load': 'arrays of numbers: allow_pickle=False', 'open': TEXT,
                                             'json.load': TEXT, 'json.loads': OWN},
    'mmseg_unsup/datasets/image_files.py': {'mmengine.fileio.list_from_file': TEXT},
    'mmseg_unsup/analysis/subsets.py': {'mmengine.fileio.list_from_file': TEXT},
    'mmseg_unsup/datasets/checking.py': {'open': 'whether it can be'},
    'mmseg_unsup/apis/made_maps.py': {'open': TEXT, 'json.load': TEXT},
    'mmseg_unsup/formats/parsing.py': {'open': TEXT, 'json.load': TEXT,
                                       'xml.etree.ElementTree.parse': 'expat limits what entities become'},
    'mmseg_unsup/formats/yolo.py': {'open': TEXT, 'yaml.safe_load': 'plain values'},
    'mmseg_unsup/formats/raster_files.py': {'rasterio.open': 'one of four drivers of pictures, none that opens others',
                                            'open': 'its first bytes'},
    'mmseg_unsup/formats/video.py': {'open': TEXT, 'json.load': TEXT, 'cv2.VideoCapture': OWN},
    'mmseg_unsup/converters/frames.py': {'cv2.VideoCapture': 'a decoder of videos'},
    'mmseg_unsup/formats/labelme.py': {'PIL.Image.open': PICTURE},
    'mmseg_unsup/apis/wanted_labels.py': {'PIL.Image.open': OWN},
    'mmseg_unsup/datasets/transforms/loading.py': {'mmcv.imfrombytes': PICTURE},
    'mmseg_unsup/engine/hooks/unreadable_images_hook.py': {'open': TEXT},
    'mmseg_unsup/datasets/pictures.py': {'PIL.Image.open': 'the header only'},
    'mmseg_unsup/visualization/gallery_pictures.py': {'cv2.imdecode': OWN},
}


def imported_names(tree: ast.Module) -> Dict[str, str]:
    """Name in the module -> dotted name of what it stands for; ours begin with a dot or mmseg_unsup."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((alias.asname or alias.name.split('.')[0], alias.name if alias.asname else
                          alias.name.split('.')[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = '.' * node.level + (node.module or '')
            names.update((alias.asname or alias.name, f'{module}.{alias.name}') for alias in node.names)
    return names


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f'{dotted(node.value)}.{node.attr}' if isinstance(node, ast.Attribute) else ''


def only_writes(call: ast.Call) -> bool:
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == 'mode')]
    return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set('wax') for mode in modes)


def readers_in(source: str) -> Set[str]:
    """Dotted names of the calls that read."""
    tree, found = ast.parse(source), set()
    names = imported_names(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        first, dot, rest = dotted(call.func).partition('.')
        full = names.get(first, first) + dot + rest
        last = full.rpartition('.')[2]
        if last == 'open' and only_writes(call):
            continue
        if first in names:
            if last in READERS and not full.startswith(('.', 'mmseg_unsup', 're.')):
                found.add(full)
        elif last in (METHODS if dot else BUILTINS):
            found.add(last)
    return found


def test_every_reader_is_known():
    found = {}
    for path in sorted([*Path(ROOT, 'mmseg_unsup').rglob('*.py'), *Path(ROOT, 'tools').rglob('*.py')]):
        readers = readers_in(path.read_text())
        if readers:
            found[path.relative_to(ROOT).as_posix()] = readers
    assert found == {path: set(readers) for path, readers in ALLOWED.items()}, (
        'a reader is new or gone: see that nothing it reads can run, try it in test_payloads.py, and list it above')


def test_readers_are_found_under_all_their_names():
    source = '''
import pickle, torch.serialization, numpy as np
from torch import load as read
from mmengine.config import Config
import mmengine
from pathlib import Path
from .config import load_config
def f(path, model):
    read(path), pickle.load(path), np.load(path, allow_pickle=True), torch.jit.load(path), Config.fromfile(path)
    open(path), open(path, 'rb'), open(path, 'w'), eval('1'), __import__(path), mmengine.load(path)
    Path(path).read_bytes(), model.eval(), load_config(path), model.load(path), torch.hub.load(path)
'''
    assert readers_in(source) == {
        'torch.load', 'pickle.load', 'numpy.load', 'torch.jit.load', 'mmengine.config.Config.fromfile', 'open', 'eval',
        '__import__', 'mmengine.load', 'read_bytes', 'torch.hub.load'}
