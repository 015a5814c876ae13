#version 330
in vec3 carried;
out vec4 written;
void main() { written = vec4(carried, 1.0); }
