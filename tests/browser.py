"""A headless browser for pages on the disk; tests that need one skip without it."""
import shutil
from contextlib import contextmanager

import pytest

# the last three: nothing but the page may be asked for
FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
         '--window-size=1400,1000', '--force-prefers-reduced-motion', '--disable-background-networking',
         '--disable-component-update', '--disable-sync')


@contextmanager
def open_browser(folder):
    """Chromium by selenium; downloads and its profile go below ``folder``."""
    webdriver = pytest.importorskip('selenium.webdriver', reason='selenium is not installed')
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    driver = shutil.which('chromedriver')
    if program is None or driver is None:
        pytest.skip('there is no chromium with chromedriver')
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f'--user-data-dir={folder / "profile"}'):
        options.add_argument(flag)
    options.add_experimental_option('prefs', {'download.default_directory': str(folder)})
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield browser
    finally:
        browser.quit()


def check_console(browser) -> None:
    """No error and no warning so far."""
    messages = [entry['message'] for entry in browser.get_log('browser') if entry['level'] != 'INFO']
    assert not messages, messages
