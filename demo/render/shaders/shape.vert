#version 330
// A solid part of the scene.
uniform mat4 to_clip;
uniform mat4 to_scene;
in vec3 position;
invariant gl_Position;
in vec3 normal;
in vec2 texture_place;
in float openness;
out vec3 point;
out vec3 facing;
out vec2 place;
out vec3 own;
out float open_sky;
void main()
{
    vec4 at = to_scene * vec4(position, 1.0);
    point = at.xyz;
    facing = mat3(to_scene) * normal;
    place = texture_place;
    own = position;
    open_sky = openness;
    gl_Position = to_clip * at;
}
