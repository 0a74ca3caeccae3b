// What is drawn: a person, and one picture of that person. Both are drawn from streams of their own, so a
// person is the same in all pictures and a picture is the same whatever else is made. Lengths in cm, angles
// in radians, colours linear RGB. "left" is the side of small x: the left of the picture when the face looks
// into the camera.
#ifndef MCF_DATA_SYNTH_SCENE_H
#define MCF_DATA_SYNTH_SCENE_H

#include "base/rng.h"
#include "data/synth/math.h"

typedef enum {
    HAIR_BALD,
    HAIR_BUZZ,
    HAIR_SHORT,
    HAIR_CROP,
    HAIR_SWEPT,
    HAIR_BOB,
    HAIR_LONG,
    HAIR_CURLY,
    HAIR_AFRO,
    HAIR_BUN,
    HAIR_STYLES
} hair_style;
typedef enum { BEARD_NONE, BEARD_STUBBLE, BEARD_MOUSTACHE, BEARD_GOATEE, BEARD_FULL } beard_style;
typedef enum { HAT_NONE, HAT_BEANIE, HAT_CAP, HAT_BRIM, HAT_SCARF } hat_kind;
typedef enum { GLASSES_NONE, GLASSES_CLEAR, GLASSES_SUN } glasses_kind;
typedef enum { CLOTH_ROUND, CLOTH_V, CLOTH_SHIRT, CLOTH_SUIT, CLOTH_TURTLE, CLOTH_HOOD, CLOTH_KINDS } cloth_kind;
typedef enum {
    OCCLUDER_NONE,
    OCCLUDER_HAND,
    OCCLUDER_MICROPHONE,
    OCCLUDER_BAR,
    OCCLUDER_CUP,
    OCCLUDER_PHONE,
    OCCLUDER_KINDS
} occluder_kind;
typedef enum {
    GROUND_STUDIO,
    GROUND_CLOUDS,
    GROUND_BOKEH,
    GROUND_ROOM,
    GROUND_OUTDOOR,
    GROUND_BLOCKS,
    GROUND_STRIPES,
    GROUND_KINDS
} ground_kind;

typedef struct {
    uint64_t number;
    float masculine, age, child; // 0..1
    // skull, as factors of the mean or additions in cm
    float width, upper, lower, jaw, chin_width, chin_out, depth, forehead, fat, cheekbone, ridge;
    // eyes
    float eye_x, eye_y, eye_half, eye_up, eye_low, eye_tilt, eye_depth, crease, lashes;
    v3 iris, iris2;
    // nose: half width at the wings, y of the tip, height of bridge and tip
    float nose_width, nose_tip, bridge, tip_out, tip_up, hump, tip_round;
    // mouth
    float mouth_half, mouth_y, lip_upper, lip_lower, cupid, lip_out;
    // brows
    float brow_y, brow_arch, brow_thick, brow_inner, brow_outer, brow_density, brow_tilt;
    float ear_size, ear_out, neck;
    v3 skin, lip, hair, hair2, brow; // hair2: highlights, or what is grey
    float blush, freckles, grey, asymmetry, makeup;
    v3 shadow_colour; // eye shadow
    float mole_x[3], mole_y[3];
    int moles;
    hair_style style;
    float hair_length, hair_volume, hair_wave, hairline, part, recede;
    bool fringe, parted, tucked;
    beard_style beard;
    float beard_density;
    bool wears_glasses;
    float lens_width, lens_height, lens_square, frame_thick;
    v3 frame;
    int earrings; // 0 none, 1 studs, 2 drops, 3 hoops
    bool necklace, beads;
    v3 metal;
} person;

typedef struct {
    // pose
    float yaw, pitch, roll, body_yaw, body_roll;
    float distance, face_share, shift_x, shift_y;
    // expression: 0 neutral .. 1 full
    float open, lip_up, smile, pucker, brow_raise, frown, blink[2], squint, gaze_x, gaze_y, sneer;
    bool teeth;
    // light
    v3 key, key_direction, sky, floor, rim, rim_direction, fill, fill_direction;
    float shadow_soft, gloss;
    // background
    ground_kind ground;
    v3 ground_colour[5];
    uint32_t ground_seed;
    float ground_blur;
    // what comes and goes
    glasses_kind glasses;
    float tint; // of lenses
    v3 lens_colour;
    hat_kind hat;
    v3 hat_colour, hat_colour2;
    int hat_pattern;
    cloth_kind cloth;
    v3 cloth_colour, cloth_colour2, shirt_colour;
    int cloth_pattern;
    bool tie;
    bool earrings, necklace;
    occluder_kind occluder;
    float occluder_x, occluder_y, occluder_angle;
    v3 occluder_colour;
    float hair_wind;
    // camera
    float exposure, contrast, saturation, vignette, blur, motion, motion_angle, noise, low_resolution;
    v3 white;
    int quality; // JPEG
    uint32_t noise_seed;
} picture;

void mcf_synth_person(person *p, uint64_t seed, uint64_t number);
void mcf_synth_picture(picture *v, const person *p, uint64_t seed, uint32_t number);

#endif
