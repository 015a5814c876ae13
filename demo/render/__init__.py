"""Renders synthetic people, prints, cut-outs and screens for the demo and for evaluation; no part of the product or its tests.

`python -m demo.render` rasterises with OpenGL (on the CPU where there is no graphics card) and writes a library of entries, each
a TOML file beside a clip or a picture. Nobody real is shown: shapes come from MakeHuman's mesh (CC0), skins are painted.

A layered entry (`kind = "layered"`):

- `clip`: pictures of 640 x 1440, three layers of 640 x 480 from top to bottom as named in `layers`: what the camera sees by the
  light of the room alone, by the ring's half at the subject's own left alone (the right of the picture), by that at the own right
  alone. Light adds up: a picture under any lamp code is `ambient + a * left + b * right` in linear radiance.
- A pixel's linear radiance is `scale[layer] * (code / 255) ** 2.2`, colours red, green, blue with sRGB's primaries; 1 is white
  paper in a lit room. Lens, exposure, white balance, noise, gamma are left to whoever plays it.
- `[segments]`: lists of picture indices at `shown_rate`, each from rest to rest; `idle` is played back and forth.
- `[truth]`, one value for each picture: `yaw_deg` (positive to the own left), `pitch_deg` (positive up), `roll_deg` (positive to the
  own left shoulder) of the head against the camera's axis; `lids` (0 open, 1 closed) and `jaw` (0 closed, 1 open).
- `[person]`: who is shown. `[attack]`: `species` and `of`, for a sheet; segments it cannot do are left out.
- `group`: `development` people may be used to choose thresholds, `held_out` ones only to report.

A screen (`kind = "screen"`): `picture`, layered and coded alike, of everything but the light that the display emits; `quad`, the
corners of the display in pixels (top left, top right, bottom right, bottom left); `emission`, the radiance of its full white;
`pixel_grid`, its pixels across.
"""
