"""Open MLflow's page of the recorded runs in a browser.

python src/ui.py
python src/ui.py notes --port 5001
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("ui")
