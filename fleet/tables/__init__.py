"""Tables as files: CSV and XLSX read into checked rows, and written so that spreadsheets open them as they are."""
