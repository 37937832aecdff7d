"""What makes the study's images hard: every number to turn, in one place.

A detector trained on clean images must lose much in rain, and fine-tuning on rain must not win
all of it back. The latter needs objects whose evidence rain truly destroys: faint ones, small
ones, and ones told apart by fine structure. Raise ``DATA_VERSION`` with every change here.
"""

DATA_VERSION = 3
"""Raise it with every change that moves a pixel or a box."""

SIZES = ((216, 168), (192, 192), (168, 216))
"""Width and height of the images, px. All have about the area of the 192 x 192 px that the
detector works at, so COCO's limits of 32^2 and 96^2 px mean there what they mean here."""

OBJECTS = (3, 7)
"""How many objects are tried per image, inclusive; some find no place."""

SIDES = (((14.0, 32.0), 0.38), ((32.0, 80.0), 0.47), ((80.0, 130.0), 0.15))
"""Ranges of the square root of the full box's area, px, and how probable each is. Smaller is
harder on clean images and in rain alike. Occlusion and the frame shrink what is left. As many
are small as in COCO, but few large: by COCO's limit that is a quarter of the image."""

CONTRAST = (24.0, 110.0)
"""Mean distance in grey levels between an object and what it covers; drawn log-uniformly."""

LIGHT = (0.25, 0.5)
"""What is left of an image's contrast, objects and all: dusk, or a cheap lens. The lever on what
rain destroys: severity 4 leaves about a third of the contrast, under noise of 4 grey levels and
streaks that stay as bright as ever. Fainter objects in images of full contrast did not do: a
vanilla detector that had learned to find them lost only 24 % of its AP at severity 4."""

INNER_CONTRAST = (50.0, 140.0)
"""The same between the two tones of a look; on a sticker it tells most of the class."""

SATURATION = 1.2
"""Distance in colour of an object to what it covers, in units of its contrast in grey."""

TYPICAL, HUE_SPREAD = 0.85, 0.25
"""Share of objects in the hue of their class, and the standard deviation around it, radians; the
classes' hues are 0.52 apart. A cue that a small detector finds within minutes of training; faint
objects show little of it."""

TEXTURE = (2.0, 8.0)
"""Amplitude of the pattern on an object, grey levels: camouflage, on clean images too."""

OPACITY = (0.85, 1.0)
"""Of an object: what is behind shines through."""

TILT = 25.0
"""Rotation of an object at most, degrees."""

WARP = 0.14
"""How far each corner of an object moves, as a share of its side: perspective and shear."""

MIN_VISIBLE = 0.5
"""Share of an object's own pixels that must stay visible; what would hide more finds another
place. So nothing that is to be seen goes unlabelled."""

OUTSIDE = 0.2
"""How far an object reaches over the frame at most, as a share of its side; counts as hidden."""

PATCHES, DISTRACTORS, OCCLUDERS = (1, 3), (0, 3), (0, 1)
"""How many pieces of other photographs lie behind, how many objects of no class lie among the
objects, and how many pieces of photographs lie in front, inclusive. More of them make clean
images harder, and in rain faint objects easier to take for them."""

BLUR = (0.4, 0.8)
"""Standard deviation of the camera's blur, px: takes away fine structure."""
