"""Video in, video out: checked inputs, probing, ffmpeg, frames, findings and the contact sheet.

``inputs`` says which files and URLs may be read before any program sees them; ``ffmpeg`` builds argument lists, never
shell strings; ``children`` runs them and ends them with their task. Flows are short because this room does the work;
it knows nothing of Prefect or Skalds.
"""
