"""Look at a finished sweep: its page, and MLflow. Nothing is trained.

python src/demo.py
"""

from sgdprobe.commands import start

if __name__ == "__main__":
    start("demo")
