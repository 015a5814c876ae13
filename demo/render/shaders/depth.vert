#version 330
uniform mat4 to_clip;
uniform mat4 to_scene;
in vec3 position;
invariant gl_Position;
void main() { gl_Position = to_clip * (to_scene * vec4(position, 1.0)); }
