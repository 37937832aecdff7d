"""What makes the study's pictures hard: every number to turn, in one place.

A detector trained on clean pictures must lose much in rain, and fine-tuning on rain must not win
all of it back. The latter needs objects whose evidence rain truly destroys: faint ones, small
ones, and ones told apart by fine structure. Raise ``DATA_VERSION`` with every change here.
"""

DATA_VERSION = 1
"""Raise it with every change that moves a pixel or a box."""

SIZES = ((288, 224), (256, 256), (224, 288))
"""Width and height of the pictures, px. All have about the area of the 256 x 256 px that the
detector works at, so COCO's limits of 32^2 and 96^2 px mean there what they mean here."""

OBJECTS = (5, 11)
"""How many objects are tried per picture, inclusive; some find no place."""

SIDES = (((11.0, 32.0), 0.37), ((32.0, 96.0), 0.35), ((96.0, 170.0), 0.28))
"""Ranges of the square root of the full box's area, px, and how probable each is. Smaller is
harder on clean pictures and in rain alike. Occlusion and the frame shrink what is left."""

CONTRAST = (12.0, 70.0)
"""Mean distance in grey levels between an object and what it covers; drawn log-uniformly. The
strongest lever: severity 4 leaves about a third of it, under noise of 4 levels, so what is
below 20 here is near the noise there, for any detector."""

INNER_CONTRAST = (14.0, 60.0)
"""The same between the two tones of a look; on a badge it is all that tells the class."""

TEXTURE = (3.0, 22.0)
"""Amplitude of the pattern on an object, grey levels: camouflage, on clean pictures too."""

OPACITY = (0.8, 1.0)
"""Of an object: what is behind shines through."""

TILT = 25.0
"""Rotation of an object at most, degrees."""

WARP = 0.14
"""How far each corner of an object moves, as a share of its side: perspective and shear."""

MIN_VISIBLE = 0.3
"""Share of an object's own pixels that must stay visible; what would hide more finds another
place. So nothing that is to be seen goes unlabelled."""

OUTSIDE = 0.2
"""How far an object reaches over the frame at most, as a share of its side; counts as hidden."""

PATCHES, DISTRACTORS, OCCLUDERS = (3, 8), (4, 10), (1, 4)
"""How many pieces of other photographs lie behind, how many objects of no class lie among the
objects, and how many pieces of photographs lie in front, inclusive. More of them make clean
pictures harder, and in rain faint objects easier to take for them."""

BLUR = (0.4, 0.8)
"""Standard deviation of the camera's blur, px: takes away fine structure."""
