import subprocess
import sys


def test_the_light_packages_need_neither_torch_nor_streamlit():
    code = (
        "import sys, muscle_core.metrics, muscle_core.comparison, muscle_core.figures; "
        "print([name for name in ('torch', 'transformers', 'streamlit', 'scipy.stats') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
