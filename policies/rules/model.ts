/**
 * The casbin model. Subjects `user:<name>`, `group:<name>`, `svc:<id>`, `anonymous`, `role:<name>`;
 * the domain is the tenant, `*` the platform; objects `dag:<id>`, `dag:<prefix>*`, `*`; a deny beats every allow.
 * Cheap comparisons come first: a matcher that begins with g() remembers every tenant name it is ever asked about.
 */
export const modelText = `
[request_definition]
r = sub, dom, obj, act

[policy_definition]
p = sub, dom, obj, act, eft

[role_definition]
g = _, _, _
g2 = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.dom == r.dom || p.dom == "*") && objMatch(r.obj, p.obj) && (p.act == "*" || g2(r.act, p.act)) && (g(r.sub, p.sub, r.dom) || g(r.sub, p.sub, "*"))
`;
