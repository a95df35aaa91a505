"""Reports: tables, figures and pages of records. No module here reads a model or imports torch."""
