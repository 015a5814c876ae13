// Light that falls on a point, for three pictures at once: the room, the ring's half at the subject's left, the one at the right.
// Radiance is linear; 1.0 is white paper facing the main light of a lit room.

const float PI = 3.14159265;
const int LAMP_POINTS = 3;

uniform vec3 lamp_left[LAMP_POINTS];      // metres, scene coordinates
uniform vec3 lamp_right[LAMP_POINTS];
uniform float lamp_strength;              // radiance of white paper at 0.55 m facing one half
uniform vec3 sky;                         // radiance from above, from the horizon, from below
uniform vec3 horizon;
uniform vec3 ground;
uniform vec3 key_direction[2];            // to the two large lamps or windows of the room
uniform vec3 key_colour[2];               // radiance of white paper that faces them
uniform float key_width[2];               // how broad they are: roughness added to their highlights
uniform sampler2DShadow shadow[4];        // left, right, first key, second key
uniform mat4 shadow_view[4];
uniform float shadow_blur[4];             // in texture coordinates
uniform float shadow_bias[4];

const int TAPS = 5;
const vec2 DISC[TAPS] = vec2[TAPS](
    vec2(0.60, 0.20), vec2(-0.05, 0.63), vec2(-0.63, 0.10), vec2(-0.25, -0.58), vec2(0.45, -0.45));

#define TAPS_USED TAPS
// How much of a light reaches a point, 0..1. One function for each map: an index chosen at run time would read them all.
#define LIT(name, which) \
    float name(vec3 point) \
    { \
        vec4 place = shadow_view[which] * vec4(point, 1.0); \
        vec3 at = place.xyz / place.w * 0.5 + 0.5; \
        if (any(lessThan(at.xy, vec2(0.0))) || any(greaterThan(at.xy, vec2(1.0)))) return 1.0; \
        float sum = 0.0; \
        for (int i = 0; i < TAPS_USED; ++i) \
            sum += texture(shadow[which], vec3(at.xy + DISC[i] * shadow_blur[which], at.z - shadow_bias[which])); \
        return sum / float(TAPS_USED); \
    }
#ifdef ONE_TAP
#undef TAPS_USED
#define TAPS_USED 1
#endif
LIT(lit_left, 0)
LIT(lit_right, 1)
LIT(lit_first, 2)
LIT(lit_second, 3)

float fifth(float x)
{
    float c = clamp(1.0 - x, 0.0, 1.0);
    return c * c * c * c * c;
}

float spread(float cosine, float roughness)
{
    float a = roughness * roughness, a2 = a * a;
    float d = cosine * cosine * (a2 - 1.0) + 1.0;
    return a2 / (PI * d * d);
}

// GGX with Schlick's Fresnel term; the visibility is the rational form of Smith's.
// Source: B. Walter et al., "Microfacet models for refraction through rough surfaces", 2007; E. Hammon, "PBR diffuse lighting for
// GGX+Smith microsurfaces", GDC 2017.
float gloss(float nl, float nv, float nh, float vh, float roughness, float f0)
{
    float visible = 0.5 / mix(2.0 * nl * nv, nl + nv, roughness * roughness);
    return spread(nh, roughness) * visible * (f0 + (1.0 - f0) * fifth(vh)) * nl * PI;
}

// Diffuse light with a soft terminator; `wrap` is how far light bleeds past it, per colour.
vec3 wrapped(float cosine, vec3 wrap)
{
    vec3 soft = clamp((vec3(cosine) + wrap) / (1.0 + wrap), 0.0, 1.0);
    return soft * mix(vec3(1.0), soft, wrap / (wrap + 0.25)) ;
}

vec3 surroundings(vec3 d)
{
    return d.y > 0.0 ? mix(horizon, sky, d.y) : mix(horizon, ground, -d.y);
}

struct Surface {
    vec3 point;
    vec3 normal;        // with its fine relief
    vec3 smooth_normal; // without, as seen by the light that has gone through the skin
    vec3 albedo;
    vec3 wrap;
    float roughness;
    float second_roughness;
    float f0;
    float open;         // 0..1, share of the surroundings that reaches the point
};

float two_lobes(Surface s, vec3 v, vec3 l)
{
    float nl = dot(s.normal, l);
    if (nl <= 0.0) return 0.0;
    vec3 h = normalize(v + l);
    float nv = max(dot(s.normal, v), 0.02), nh = max(dot(s.normal, h), 0.0), vh = max(dot(v, h), 0.0);
    return 0.72 * gloss(nl, nv, nh, vh, s.roughness, s.f0) + 0.28 * gloss(nl, nv, nh, vh, s.second_roughness, s.f0);
}

vec3 falling(Surface s, vec3 l, float shade)
{
    vec3 deep = wrapped(dot(s.smooth_normal, l), s.wrap);
    vec3 fine = wrapped(dot(s.normal, l), s.wrap * 0.4);
    vec3 shaded = pow(vec3(shade), 1.0 / (1.0 + 2.0 * s.wrap));
    return s.albedo * mix(fine, deep, clamp(s.wrap * 2.2, 0.0, 1.0)) * shaded;
}

vec3 under_lamp(Surface s, vec3 v, vec3 lamps[LAMP_POINTS], float shade)
{
    vec3 way = lamps[1] - s.point;
    vec3 middle = normalize(way);
    float near = 0.55 * 0.55 / dot(way, way) * max(middle.z, 0.0);
    float bright = 0.0;
    for (int i = 0; i < LAMP_POINTS; ++i) bright += two_lobes(s, v, normalize(lamps[i] - s.point));
    return lamp_strength * near * (falling(s, middle, shade) + vec3(bright * shade / float(LAMP_POINTS)));
}

vec3 under_key(Surface s, vec3 v, int key, float reached)
{
    float shade = reached * mix(1.0, s.open, 0.5);
    s.roughness = min(1.0, s.roughness + key_width[key]);
    s.second_roughness = min(1.0, s.second_roughness + key_width[key]);
    return key_colour[key] * (falling(s, key_direction[key], shade) + vec3(two_lobes(s, v, key_direction[key]) * shade));
}

vec3 under_room(Surface s, vec3 v)
{
    vec3 dim = pow(vec3(s.open), vec3(0.85, 1.05, 1.1));
    vec3 sum = s.albedo * surroundings(mix(s.normal, s.smooth_normal, 0.5)) * dim;
    float nv = max(dot(s.normal, v), 0.0);
    float fresnel = s.f0 + (max(1.0 - s.roughness, s.f0) - s.f0) * fifth(nv);
    sum += surroundings(reflect(-v, s.normal)) * fresnel * s.open * 0.7;
    return sum + under_key(s, v, 0, lit_first(s.point)) + under_key(s, v, 1, lit_second(s.point));
}
