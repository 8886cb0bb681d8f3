"""Demo: a real switch between two models and back, driven by git commits, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.edge.http import post_json
