"""Video in, video out: checked inputs, probing, ffmpeg, frames, findings and the contact sheet."""
