#version 330
// Lays the surface out over its texture.
in vec2 texture_place;
in vec3 value;
out vec3 carried;
void main()
{
    carried = value;
    gl_Position = vec4(texture_place * 2.0 - 1.0, 0.0, 1.0);
}
