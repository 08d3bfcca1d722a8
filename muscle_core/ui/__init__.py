"""The only part of the library that imports Streamlit: what the pages share."""
