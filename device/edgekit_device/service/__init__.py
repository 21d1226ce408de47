"""edgekit as a systemd service: installed, watched, its model upgraded, here or over ssh.

`units/` is the folder `systemd/` of the source tree: the wheel packs the very files that lie there.
"""
