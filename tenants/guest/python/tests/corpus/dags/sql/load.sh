echo load {{ ds }}
{% include 'sql/footer.sh' %}
