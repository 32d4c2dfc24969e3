"""Detectors, one framework each. The order matters: the first that answers decides."""

from headrace.plan.detectors.base import Detector
from headrace.plan.detectors.frameworks import FRAMEWORKS
from headrace.plan.detectors.script import Script
from headrace.plan.detectors.static import Static
from headrace.plan.detectors.vite import Vite

DETECTORS: tuple[Detector, ...] = (*FRAMEWORKS, Vite(), Script(), Static())
