"""
A program that runs inside a sandbox and says of each control whether it holds there: one JSON line each.

It is sent into the working directory of a sandbox (`_prove`), so it needs nothing but Python's standard library, and nothing of
Headrace outside this folder. One file for each chapter of the list of controls (`_controls`).
"""
