"""The report: tables made of records; it reads no model, and needs no torch."""
