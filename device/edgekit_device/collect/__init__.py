"""`edgekit collect`: varied pictures for a calibration, from a camera or a recording."""
