// A solid part: skin, eye, cloth, paper, wall. `kind` says which.
in vec3 point;
in vec3 facing;
in vec2 place;
in vec3 own;
in float open_sky;
layout(location = 0) out vec4 seen_room;
layout(location = 1) out vec4 seen_left;
layout(location = 2) out vec4 seen_right;

const int SKIN = 0, EYE = 1, PLAIN = 2, CLOTH = 3, PAPER = 4, GLASS = 5, LASH = 6, SHINING = 7, KNIT = 8;

uniform int kind;
uniform vec3 colour;
uniform float roughness;
uniform float f0;
uniform float shine;
uniform float relief;       // metres of height of the bump texture
uniform sampler2D albedo_map;
uniform sampler2D detail_map;   // red: height, green: gloss
uniform vec3 iris;
uniform mat3 gaze;          // eye to scene
uniform vec3 eye_centre;
uniform float eye_radius;
uniform float cut_height;   // cloth ends above this height of the own coordinates, plus a curve
uniform float cut_curve;

float hash(vec3 p) { return fract(sin(dot(p, vec3(12.9898, 78.233, 37.719))) * 43758.5453); }

// Normal of a height field over the surface. Source: M. Mikkelsen, "Bump mapping unparametrized surfaces on the GPU", 2010.
vec3 bumped(vec3 n, float height)
{
    vec3 dx = dFdx(point), dy = dFdy(point);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    vec3 grad = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2);
    return normalize(abs(det) * n - grad);
}

void main()
{
    vec3 v = normalize(-point);
    vec3 n = normalize(facing);
    float alpha = 1.0;
    Surface s;
    s.point = point;
    s.wrap = vec3(0.0);
    s.f0 = f0;
    s.open = clamp(open_sky, 0.0, 1.0);
    s.albedo = colour;
    s.roughness = s.second_roughness = roughness;
    if (kind != LASH && kind != GLASS && dot(n, v) < 0.0 && kind != SKIN) n = -n;
    s.smooth_normal = s.normal = n;
    vec3 glow = vec3(0.0);
    if (kind == SKIN) {
        vec4 map = texture(albedo_map, place);
        vec2 detail = texture(detail_map, place).rg;
        s.albedo = map.rgb * map.rgb;
        s.normal = bumped(n, detail.r * relief);
        s.wrap = vec3(0.34, 0.14, 0.09) * (1.0 - map.a);
        s.roughness = mix(0.55, 0.36, shine) + 0.25 * (0.5 - detail.g);
        s.second_roughness = s.roughness * 0.6;
        s.f0 = 0.030;
        s.open *= 1.0 - 0.85 * map.a;     // alpha marks the inside of the mouth
        if (map.a > 0.5) { s.roughness = 0.35; s.f0 = 0.008; }
    } else if (kind == EYE) {
        vec3 axis = transpose(gaze) * normalize(own - eye_centre);
        float angle = degrees(acos(clamp(axis.z, -1.0, 1.0)));
        float turn = atan(axis.y, axis.x);
        float fibre = 0.5 + 0.25 * sin(turn * 23.0 + 2.0 * sin(turn * 7.0)) + 0.25 * sin(turn * 41.0 + 1.0);
        vec3 white = mix(vec3(0.62, 0.56, 0.51), vec3(0.55, 0.36, 0.31), smoothstep(38.0, 75.0, angle));
        vec3 inner = iris * (0.6 + 0.9 * fibre) * (1.0 - 0.7 * smoothstep(20.0, 26.0, angle));
        s.albedo = mix(inner, white, smoothstep(24.0, 27.5, angle));
        s.albedo = mix(vec3(0.003), s.albedo, smoothstep(9.0, 11.0, angle));
        s.wrap = vec3(0.25, 0.15, 0.12) * smoothstep(24.0, 30.0, angle);
        s.roughness = 0.10; s.second_roughness = 0.18; s.f0 = 0.025;
        s.smooth_normal = n;
        s.open *= 0.80;
    } else if (kind == CLOTH) {
        float neck = cut_height + cut_curve * own.x * own.x;
        if (own.y > neck) discard;
        float weave = sin(place.x * 2600.0) * sin(place.y * 2600.0);
        float fold = sin(own.x * 26.0 + 7.0 * own.y) * sin(own.y * 9.0 - 3.0 * own.x);
        s.normal = bumped(n, fold * 0.004);
        s.albedo *= 1.0 + 0.06 * weave - 0.25 * smoothstep(neck - 0.06, neck - 0.05, own.y) * step(own.y, neck - 0.045);
        s.wrap = vec3(0.15);
    } else if (kind == KNIT) {
        float rib = sin(place.x * 260.0), row = sin(place.y * 400.0);
        s.normal = bumped(n, (0.6 * rib + 0.25 * row) * 0.0012);
        s.albedo *= 0.85 + 0.15 * rib;
        s.wrap = vec3(0.15);
    } else if (kind == PAPER) {
        vec4 map = texture(albedo_map, place);
        alpha = map.a;
        if (alpha < 0.5) discard;
        alpha = 1.0;
        if (!gl_FrontFacing) { map.rgb = vec3(0.88); }
        s.albedo = map.rgb * map.rgb;
        s.wrap = vec3(0.05);
    } else if (kind == LASH) {
        alpha = 0.55;
    } else if (kind == GLASS) {
        alpha = 0.06;
        s.albedo = vec3(0.0);
    } else if (kind == SHINING) {
        s.albedo = vec3(0.0); s.f0 = 0.0; glow = colour;
    }
    vec3 room = under_room(s, v) + glow;
    vec3 left = under_lamp(s, v, lamp_left, lit_left(point));
    vec3 right = under_lamp(s, v, lamp_right, lit_right(point));
    float cover = kind == GLASS ? 1.0 : alpha;   // what glass reflects is added, what it takes away is `alpha`
    seen_room = vec4(room * cover, alpha);
    seen_left = vec4(left * cover, alpha);
    seen_right = vec4(right * cover, alpha);
}
