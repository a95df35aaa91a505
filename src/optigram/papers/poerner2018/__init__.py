"""Poerner, Roth & Schuetze 2018, "Interpretable Textual Neuron Representations for NLP"."""
