"""What the system says of the CPU."""
import platform
from contextlib import suppress
from typing import Dict, Optional


def cpu_facts(path: str = '/proc/cpuinfo') -> Dict[str, str]:
    """Name -> value of the first core, as Linux calls them; empty on other systems."""
    with suppress(OSError), open(path, encoding='utf-8') as file:
        first = file.read().split('\n\n')[0]
        return {key.strip(): value.strip() for key, _, value in (line.partition(':') for line in first.splitlines())}
    return {}


def cpu_name(facts: Optional[Dict[str, str]] = None) -> str:
    """The name that the system gives, else the architecture; hypervisors shorten names, so with the model's number."""
    facts = cpu_facts() if facts is None else facts
    name = facts.get('model name') or platform.processor() or platform.machine()
    return name + (f' (family {facts["cpu family"]}, model {facts["model"]})' if 'cpu family' in facts else '')


def cpu_has(*flags: str, facts: Optional[Dict[str, str]] = None) -> Optional[bool]:
    """Whether it has one of these abilities, such as ``'avx512_bf16'``; None where the system does not say."""
    facts = cpu_facts() if facts is None else facts
    known = facts.get('flags', facts.get('Features'))  # the latter on Arm
    return None if known is None else not set(flags).isdisjoint(known.split())
