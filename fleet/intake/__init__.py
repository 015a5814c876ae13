"""Intake: photographs, lists of people, lists of units and villages, as files."""
