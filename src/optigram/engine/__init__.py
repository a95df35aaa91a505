"""Engines: where tasks run. A finished task leaves one complete file, so a killed run resumes at the missing ones."""
