// A hair: a ribbon that faces the lens, lit at its corners.
// Source: J. Kajiya, T. Kay, "Rendering fur with three dimensional textures", 1989; two highlights after S. Marschner et al.,
// "Light scattering from human hair fibers", 2003, as simplified by T. Scheuermann, 2004.
uniform mat4 to_clip;
uniform mat4 to_scene;
uniform float width;
uniform vec3 eye;
uniform vec3 head_centre;
uniform vec3 colour;
uniform bool is_shadow;
in vec3 position;
in vec3 along;
in float side;      // -1 or 1
in float part;      // 0 at the root, 1 at the tip
in float shade;     // drawn for each strand, about 1
out vec3 room;
out vec3 left;
out vec3 right;

vec3 strand(vec3 t, vec3 outward, vec3 v, vec3 l, float lightness)
{
    float tl = dot(t, l);
    vec3 h = normalize(v + l);
    float diffuse = sqrt(max(0.0, 1.0 - tl * tl)) * clamp(0.35 + 0.65 * dot(outward, l), 0.0, 1.0);
    float th = dot(t, h), th2 = dot(normalize(t + 0.12 * outward), h);
    float first = pow(sqrt(max(0.0, 1.0 - th * th)), 60.0), second = pow(sqrt(max(0.0, 1.0 - th2 * th2)), 18.0);
    float towards = clamp(0.2 + dot(outward, l), 0.0, 1.0);
    return (colour * shade * diffuse + (vec3(0.028) * first + 0.45 * colour * second) * towards) * lightness;
}

void main()
{
    vec3 at = (to_scene * vec4(position, 1.0)).xyz;
    vec3 t = normalize(mat3(to_scene) * along);
    at += normalize(cross(t, eye - at)) * side * width * mix(1.0, 0.35, part * part);
    gl_Position = to_clip * vec4(at, 1.0);
    room = left = right = vec3(0.0);
    if (is_shadow) return;
    vec3 v = normalize(-at), outward = normalize(at - head_centre);
    float deep = mix(0.35, 1.0, smoothstep(0.0, 0.7, part));
    room = colour * shade * surroundings(outward) * deep;
    room += key_colour[0] * strand(t, outward, v, key_direction[0], mix(0.35, 1.0, lit_first(at)) * deep);
    room += key_colour[1] * strand(t, outward, v, key_direction[1], mix(0.35, 1.0, lit_second(at)) * deep);
    vec3 path = lamp_left[1] - at;
    left = lamp_strength * 0.3025 / dot(path, path) * strand(t, outward, v, normalize(path), mix(0.3, 1.0, lit_left(at)) * deep);
    path = lamp_right[1] - at;
    right = lamp_strength * 0.3025 / dot(path, path) * strand(t, outward, v, normalize(path), mix(0.3, 1.0, lit_right(at)) * deep);
}
